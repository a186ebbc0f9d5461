/* The process around the store: core's channel. */
#ifndef KEEPER_SERVE_H
#define KEEPER_SERVE_H

#define KEEPER_CHANNEL_FD 3
#define KEEPER_LOG_FD     4
#define KEEPER_STATE_FD   6

/* Runs on the fixed descriptors until the channel ends; returns the exit status. */
int keeper_serve(void);

#endif

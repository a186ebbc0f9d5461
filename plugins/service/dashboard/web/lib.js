// The libraries, under one roof.
import { h } from "preact";
import htm from "htm";

export { render, Fragment } from "preact";
export { useEffect, useLayoutEffect, useRef, useState, useMemo, useCallback } from "preact/hooks";
export { signal, computed, effect, batch } from "@preact/signals";
export const html = htm.bind(h);

/**
 * Packets that fly over the ring. Each is an element that the browser's compositor moves, so no code runs and React draws
 * nothing while it flies. Pings are sent all the time, so they do not fly: they are shown at two points of the link, one
 * after the other.
 */
import { useEffect, useRef } from "react";
import { useReducedMotion } from "../../hooks/use-reduced-motion.ts";
import type { EventSource } from "../../store/arrivals.ts";
import { launch, type Packet, type PacketKind, type Point, pointOnPath, type RingView } from "./packets.ts";

const SVG = "http://www.w3.org/2000/svg";
const PULSE_MS = 420;
const HOP_MS = 170;
/** Interval in which pings are shown, all of them together, ms. */
const PINGS_MS = 1_000;
/** Points of the path at which a ping is shown, from 0 to 1. */
const HOPS: readonly number[] = [0.35, 0.65];
/** Segments in which the curved path between two nodes is passed to the browser. */
const BOW_POINTS = 6;

/** Each kind has its own shape as well as its own colour. */
export const PACKET_SHAPES: Readonly<Record<PacketKind, string>> = {
  PROPOSAL: "M-6 -5H6V5H-6z",
  ACK: "M0 -5.500A5.500 5.500 0 1 1 0 5.500A5.500 5.500 0 1 1 0 -5.500z",
  COMMIT: "M0 -7 7 0 0 7 -7 0z",
  PING: "M0 -2.800A2.800 2.800 0 1 1 0 2.800A2.800 2.800 0 1 1 0 -2.800z",
  VOTE: "M0 -7 6.500 5H-6.500z",
  SYNC: "M-7 -3.500H7V3.500H-7z",
};

interface View extends RingView {
  readonly places: ReadonlyMap<number, Point>;
  readonly nodeRadius: number;
  readonly events: EventSource;
}

/** Animates events as packets between the nodes; nothing moves if the reader wants less motion. */
export function PacketLayer(props: View) {
  const layer = useRef<HTMLDivElement>(null);
  const view = useRef<View>(props);
  view.current = props;
  const still = useReducedMotion();
  const { events } = props;

  useEffect(() => {
    const box = layer.current;
    if (!box || still) return;
    let air: readonly Packet[] = [];
    /** *map path → the ping that is shown there next* */
    const pings = new Map<string, Packet>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const showPings = () => {
      timer = undefined;
      hop(box, [...pings.values()], view.current);
      pings.clear();
    };
    const stop = events((batch) => {
      const now = performance.now();
      const flying = new Set(air);
      air = launch(air, batch, view.current, now);
      const fresh = air.filter((packet) => !flying.has(packet));
      for (const packet of fresh) {
        if (packet.kind === "PING") pings.set(`${packet.from}>${packet.to}`, packet);
        else fly(box, packet, view.current, now);
      }
      if (pings.size > 0) timer ??= setTimeout(showPings, PINGS_MS);
    });
    return () => {
      stop();
      clearTimeout(timer);
      box.replaceChildren();
    };
  }, [still, events]);

  return <div ref={layer} className="packets" aria-hidden="true" />;
}

const at = ({ x, y }: Point): string => `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;

/** The ends of a packet's path, at the edges of its nodes. */
function wayOf(
  packet: Packet,
  { places, nodeRadius }: View,
): { readonly from: Point; readonly to: Point } | undefined {
  const from = places.get(packet.from);
  const to = places.get(packet.to);
  if (!from || !to) return undefined;
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [x, y] = [((to.x - from.x) / length) * nodeRadius, ((to.y - from.y) / length) * nodeRadius];
  return { from: { x: from.x + x, y: from.y + y }, to: { x: to.x - x, y: to.y - y } };
}

function fly(box: HTMLElement, packet: Packet, view: View, now: number): void {
  const way = wayOf(packet, view);
  if (!way) return;
  const element = makePacket(packet.kind);
  const steps = Array.from({ length: BOW_POINTS + 1 }, (_, i) => ({
    transform: at(pointOnPath(way.from, way.to, i / BOW_POINTS)),
  }));
  const delay = Math.max(0, packet.startMs - now);
  box.append(element);
  element.animate(steps, { delay, duration: packet.durationMs, fill: "backwards" }).onfinish = () => {
    element.remove();
    const place = view.places.get(packet.to);
    if (place && view.up.has(packet.to)) pulse(box, packet.kind, place, view.nodeRadius);
  };
  // hidden until its departure
  element.animate([{ opacity: 0 }, { opacity: 0 }], { duration: delay });
}

function pulse(box: HTMLElement, kind: PacketKind, place: Point, nodeRadius: number): void {
  const ring = document.createElement("i");
  ring.className = `pulse pulse-${kind}`;
  const size = 2 * (nodeRadius + 4);
  ring.style.width = `${size}px`;
  ring.style.height = `${size}px`;
  const where = at({ x: place.x - size / 2, y: place.y - size / 2 });
  box.append(ring);
  ring.animate(
    [
      { transform: where, opacity: 0.7 },
      { transform: `${where} scale(1.3)`, opacity: 0 },
    ],
    PULSE_MS,
  ).onfinish = () => ring.remove();
}

/** Shows pings at two points of their paths, all of them at the same time. */
function hop(box: HTMLElement, pings: readonly Packet[], view: View): void {
  const shown = pings.flatMap((ping) => {
    const way = wayOf(ping, view);
    return way ? [{ way, element: makePacket("PING") }] : [];
  });
  if (shown.length === 0) return;
  const step = (n: number): void => {
    const part = HOPS[n];
    for (const { way, element } of shown) {
      if (part === undefined) element.remove();
      else element.style.transform = at(pointOnPath(way.from, way.to, part));
    }
    if (part !== undefined) setTimeout(step, HOP_MS, n + 1);
  };
  step(0);
  box.append(...shown.map(({ element }) => element));
}

function makePacket(kind: PacketKind): HTMLElement {
  const element = document.createElement("i");
  element.className = "packet-box";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "-8 -8 16 16");
  svg.setAttribute("width", "16");
  svg.setAttribute("height", "16");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PACKET_SHAPES[kind]);
  path.setAttribute("class", `packet packet-${kind}`);
  svg.append(path);
  element.append(svg);
  return element;
}

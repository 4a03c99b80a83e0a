/**
 * The packets in the air, drawn straight into the SVG: React is asked for nothing while they fly, and
 * no frame is requested while there are none.
 */
import { useEffect, useRef } from "react";
import { onEvents } from "../hooks/live-store.ts";
import { useReducedMotion } from "../hooks/use-reduced-motion.ts";
import {
  hasArrived,
  launch,
  type Packet,
  type PacketKind,
  type Point,
  pointOnPath,
  progressOf,
  type RingView,
} from "../model/packets.ts";

const SVG = "http://www.w3.org/2000/svg";
const PULSE_MS = 420;

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
}

export function PacketLayer(props: View) {
  const layer = useRef<SVGGElement>(null);
  const view = useRef<View>(props);
  view.current = props;
  const still = useReducedMotion();

  useEffect(() => {
    const group = layer.current;
    if (!group || still) return;
    let air: readonly Packet[] = [];
    let pulses: { packet: Packet; startMs: number }[] = [];
    let frame = 0;
    const drawn = new Map<unknown, SVGElement>();

    const shape = (key: unknown, make: () => SVGElement): SVGElement => {
      let element = drawn.get(key);
      if (!element) {
        element = make();
        drawn.set(key, element);
        group.append(element);
      }
      return element;
    };
    const drop = (key: unknown) => {
      drawn.get(key)?.remove();
      drawn.delete(key);
    };

    const draw = (now: number) => {
      const { places, nodeRadius } = view.current;
      const landed = air.filter((packet) => hasArrived(packet, now));
      for (const packet of landed) {
        drop(packet);
        if (packet.kind !== "PING" && view.current.up.has(packet.to)) pulses.push({ packet, startMs: now });
      }
      if (landed.length > 0) air = air.filter((packet) => !hasArrived(packet, now));
      for (const packet of air) {
        const from = places.get(packet.from);
        const to = places.get(packet.to);
        const t = progressOf(packet, now);
        if (!from || !to || t === undefined) continue;
        const { x, y } = pointOnPath(from, to, t);
        shape(packet, () => makePacket(packet.kind)).setAttribute("transform", `translate(${x} ${y})`);
      }
      for (const pulse of pulses) {
        const place = places.get(pulse.packet.to);
        const t = (now - pulse.startMs) / PULSE_MS;
        if (!place || t >= 1) {
          drop(pulse);
          continue;
        }
        const circle = shape(pulse, () => makePulse(pulse.packet.kind, place));
        circle.setAttribute("r", String(nodeRadius + 2 + 12 * t));
        circle.setAttribute("opacity", String(0.7 * (1 - t)));
      }
      pulses = pulses.filter((pulse) => drawn.has(pulse) && now - pulse.startMs < PULSE_MS);
      frame = air.length > 0 || pulses.length > 0 ? requestAnimationFrame(draw) : 0;
    };

    const stop = onEvents((events) => {
      const now = performance.now();
      const kept = new Set(air);
      air = launch(air, events, view.current, now);
      const next = new Set(air);
      for (const packet of kept) if (!next.has(packet)) drop(packet);
      if (frame === 0 && air.length > 0) frame = requestAnimationFrame(draw);
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
      group.replaceChildren();
    };
  }, [still]);

  return <g ref={layer} className="packets" />;
}

function makePacket(kind: PacketKind): SVGElement {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PACKET_SHAPES[kind]);
  path.setAttribute("class", `packet packet-${kind}`);
  return path;
}

function makePulse(kind: PacketKind, place: Point): SVGElement {
  const circle = document.createElementNS(SVG, "circle");
  circle.setAttribute("cx", String(place.x));
  circle.setAttribute("cy", String(place.y));
  circle.setAttribute("class", `pulse pulse-${kind}`);
  return circle;
}

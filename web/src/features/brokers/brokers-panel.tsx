/** The brokers: which are up, which is the controller, which partitions each leads. */
import { memo } from "react";
import type { BrokerState, ClusterState, PartitionState } from "../../api/types.ts";
import { useLive } from "../../store/live-context.ts";
import { useLiveEvery } from "../../store/use-live-every.ts";
import { Icon } from "../../ui/icon.tsx";
import { Panel } from "../../ui/panel.tsx";
import { lacksQuorum } from "../ensemble/ensemble-view.ts";
import { viewOf } from "../ensemble/slice.ts";
import { brokerFaultOf } from "../faults/fault-actions.ts";
import { FaultButton } from "../faults/fault-button.tsx";
import { FaultSigns } from "../faults/fault-sign-list.tsx";
import { type FaultSign, signOf } from "../faults/fault-signs.ts";
import type { Faults } from "../faults/faults-known.ts";

interface Led {
  readonly topic: string;
  readonly partition: PartitionState;
}

/** Lists the brokers, with the buttons that break them. */
export const BrokersPanel = memo(function BrokersPanel() {
  const cluster = useLive((live) => live.cluster);
  const problem = useLive((live) => live.clusterProblem);
  const faults = useLive((live) => live.faults);
  // elections that end before anyone could read the message are not shown
  const isHalted = useLiveEvery(500, (live) => lacksQuorum(viewOf(live)));
  return (
    <Panel
      title="Brokers"
      area="brokers"
      hint="They take the goals, and lead the partitions that keep them. The ensemble knows which broker is alive."
    >
      {cluster ? (
        <ul className="rows">
          {cluster.brokers.map((broker) => (
            <Broker key={broker.id} broker={broker} cluster={cluster} faults={faults} isHalted={isHalted} />
          ))}
        </ul>
      ) : (
        <p className="empty">
          {problem ? `The brokers cannot be read: ${problem}.` : "Asking for the brokers…"}
        </p>
      )}
    </Panel>
  );
});

const CONTROLLER = "Elected through the ensemble: it gives each partition its leader";

interface BrokerProps {
  readonly broker: BrokerState;
  readonly cluster: ClusterState;
  readonly faults: Faults;
  /** Whether there is no quorum, so that no broker is registered or takes goals. */
  readonly isHalted: boolean;
}

function Broker({ broker, cluster, faults, isHalted }: BrokerProps) {
  const led: Led[] = cluster.topics.flatMap((topic) =>
    topic.partitions
      .filter((partition) => partition.leader === broker.id)
      .map((partition) => ({ topic: topic.name, partition })),
  );
  const isController = cluster.controller === broker.id && !isHalted;
  const signs: readonly FaultSign[] = (faults.ofBroker.get(broker.id) ?? []).map(signOf);
  const isKilled = signs.some((sign) => sign.fault === "kill");
  const isPaused = signs.some((sign) => sign.fault === "pause");
  return (
    <li
      className={`row${broker.up ? "" : " row-down"}`}
      data-testid={`broker-${broker.id}`}
      data-up={broker.up}
      data-halted={broker.up && isHalted}
    >
      <span
        className={`badge badge-square badge-${lookOf(broker, isController, isHalted)}`}
        aria-hidden="true"
      >
        {broker.id}
      </span>
      <span className="row-main">
        <span className="row-title" title={isController ? CONTROLLER : undefined}>
          <span className="sr-only">Broker {broker.id}: </span>
          {isController && <Icon name="crown" size={13} />}
          {isPaused ? "Paused" : isController ? "Controller" : broker.up ? "Broker" : "Down"}
        </span>
        {broker.up && isHalted && !isPaused && <span className="row-sub lag">no quorum</span>}
        <FaultSigns signs={signs} />
      </span>
      {faults.state === "on" && (
        <span className="row-actions">
          {broker.up && signs.length === 0 ? (
            <>
              <FaultButton
                fault={brokerFaultOf(broker.id, "kill")}
                label="Kill"
                title={`Kill broker ${broker.id}`}
                tone="danger"
                testId={`kill-broker-${broker.id}`}
              />
              <FaultButton
                fault={brokerFaultOf(broker.id, "crash")}
                label="Crash"
                title={`Crash broker ${broker.id}: it loses its memory and starts again`}
                tone="danger"
                testId={`crash-broker-${broker.id}`}
              />
            </>
          ) : (
            <FaultButton
              fault={brokerFaultOf(broker.id, isKilled ? "revive" : "heal")}
              label={isKilled ? "Revive" : "Heal"}
              title={`${isKilled ? "Revive" : "Heal"} broker ${broker.id}`}
              tone="mend"
              testId={`${isKilled ? "revive" : "heal"}-broker-${broker.id}`}
            />
          )}
        </span>
      )}
      {led.length > 0 && <LedList led={led} />}
    </li>
  );
}

function lookOf(broker: BrokerState, isController: boolean, isHalted: boolean): string {
  if (!broker.up) return "down";
  if (isHalted) return "looking";
  return isController ? "leader" : "follower";
}

const LED_MAX = 3;

function LedList({ led }: { led: readonly Led[] }) {
  return (
    <ul className="row-more">
      {led.slice(0, LED_MAX).map(({ topic, partition }) => (
        <li key={`${topic}-${partition.partition}`}>
          leads{" "}
          <span className="mono">
            {topic}-{partition.partition}
          </span>{" "}
          <span title="How often the leadership of this partition has changed">
            · leader epoch {partition.leaderEpoch}
          </span>
          {partition.logEndOffset !== null &&
            ` · ${partition.logEndOffset} record${partition.logEndOffset === 1 ? "" : "s"}`}
        </li>
      ))}
      {led.length > LED_MAX && <li>and {led.length - LED_MAX} more</li>}
    </ul>
  );
}

import { MemoryBroker } from "../../sim/broker/memory-broker.ts";
import { brokerContract } from "./broker.ts";

// The suite has the rules [BROKER-50], [BROKER-51] and [VER-7].
brokerContract("memory", (body) => {
  const backend = new MemoryBroker();
  body(
    () => backend,
    (key, change) => backend.tamper(key, change),
  );
});

import { MemoryBroker } from "../../sim/broker/memory-broker.ts";
import { brokerContract } from "./broker.ts";

brokerContract("memory", (body) => {
  const backend = new MemoryBroker();
  body(
    () => backend,
    (key, change) => backend.tamper(key, change),
  );
});

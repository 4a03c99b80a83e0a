import { describe, expect, test } from "vitest";
import {
  demoBrokerPath,
  demoBrokerWrite,
  demoEnsembleData,
  renderDemoMetadata,
  sidOfPort,
} from "../../../core/broker/demo-metadata.ts";
import { zxid } from "../../../core/zab/zxid.ts";
import { NO_SESSION, type Stat } from "../../../core/znode/types.ts";

const stat = (version: number, mtime: number): Stat => ({
  czxid: zxid(1, 1),
  mzxid: zxid(1, 2),
  pzxid: zxid(1, 1),
  ctime: 1,
  mtime,
  version,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: NO_SESSION,
  dataLength: 0,
  numChildren: 0,
});

describe("demo metadata", () => {
  test("[DEMO-1] the ensemble's entry precedes the brokers' by ascending port, keys in a fixed order", () => {
    const brokers = ["9091", "10000", "9090"].map((name) => {
      const write = demoBrokerWrite(name, "9090,9091");
      expect(write.set.path).toBe(demoBrokerPath(name));
      return { name, data: write.create.data, stat: stat(name === "9090" ? 9 : 0, 5) };
    });
    expect(renderDemoMetadata({ ensemble: demoEnsembleData(2, 3), brokers })).toBe(
      '[{"NodePort":"8081","Leader":"8081","Servers":"8080,8081,8082"},' +
        '{"SenderIp":"9090","Clients":"9090,9091","Version":10,"Timestamp":5},' +
        '{"SenderIp":"9091","Clients":"9090,9091","Version":1,"Timestamp":5},' +
        '{"SenderIp":"10000","Clients":"9090,9091","Version":1,"Timestamp":5}]',
    );
  });

  test("[DEMO-1] the rendered bytes do not depend on the order in which children were read", () => {
    const znodes = ["9090", "9091", "9092"].map((name) => ({ name, data: null, stat: stat(0, 1) }));
    expect(renderDemoMetadata({ ensemble: null, brokers: [...znodes].reverse() })).toBe(
      renderDemoMetadata({ ensemble: null, brokers: znodes }),
    );
  });

  test("[DEMO-3] ports name nodes and brokers, anything else does not", () => {
    expect(sidOfPort("8080", 3)).toBe(1);
    expect(sidOfPort("8082", 3)).toBe(3);
    for (const bad of ["8083", "8079", "", "abcd", "80800", "-8080", "8080.5", "0x1f90"])
      expect(sidOfPort(bad, 3), bad).toBeUndefined();
  });
});

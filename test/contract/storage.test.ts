import { MemoryBackend } from "../../core/server/memory-backend.ts";
import { storageContract } from "./storage.ts";

// The suite has the rules [STORAGE-1], [STORAGE-2], [STORAGE-3], [STORAGE-4], [STORAGE-5], [STORAGE-6] and [STORAGE-7].
storageContract("memory", (body) => {
  const backend = new MemoryBackend();
  body(() => backend);
});

/** A copy for whoever opens it, so that nothing can hide in an instance. */
storageContract("memory, copied at every start", (body) => {
  let current = new MemoryBackend();
  const handles: MemoryBackend[] = [];
  body(() => {
    // The test writes through the handle it opened first.
    current = (handles[0] ?? current).clone();
    handles.push(current);
    return current;
  });
});

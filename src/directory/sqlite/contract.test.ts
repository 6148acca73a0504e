import { join } from "node:path";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { testDirectoryContract } from "../../../test/support/directory-contract.ts";
import { openDirectory, openDirectoryReader } from "../open-directory.ts";

testDirectoryContract({
  name: "sqlite",
  start(t) {
    const options = { store: { kind: "sqlite", path: join(scratchFolder(t), "directory.db") } } as const;
    return { open: (clock) => openDirectory(options, clock), openReader: () => openDirectoryReader(options) };
  },
});

import { defineType } from "../table-type.ts";
import { NO_ROUTER } from "../views.ts";

/** The router asks the directory by itself, with its own keys: this one is for listeners and commands. */
export const DIRECTORY = defineType({
  description:
    "The backend that the `directory` has for a user, whatever tables and holds say. Asked with an address or with a user key.",
  kind: "view",
  entries: {},
  toOptions: () => ({}),
  open: (_options, { views }) => ({
    lookup: (key) => views?.findEntry(key) ?? NO_ROUTER,
    ...(views === undefined ? {} : { list: (prefix) => views.listEntries(prefix) }),
  }),
});

import { ownerOfMove } from "../../directory/names.ts";
import { ActFailed } from "../tools.ts";
import { authorOf, persistenceOf } from "./context.ts";
import type { ActContext } from "./context.ts";
import { outsideOf } from "./perform-outside.ts";
import { persist } from "./wait.ts";

/** Lets the user's mail go on, to where the user lives by now. */
export async function releaseUser(context: ActContext, isOutside: boolean): Promise<void> {
  const { directory, keeper } = context.parts;
  const { user, moveId } = context.subject;
  const author = authorOf(context.subject);
  if (isOutside) {
    await persist("cached answers have to be dropped first", persistenceOf(context), async () =>
      outsideOf(context).forget(user),
    );
    await persist("the directory's entry has to go first", persistenceOf(context), async () => {
      if (directory.findBackend(user) !== undefined) await directory.users.unset(user, author);
    });
  }
  await persist("the user's mail has to be released", persistenceOf(context), async () => {
    const result = await keeper.release(user, ownerOfMove(moveId), author);
    if (result.kind === "move-active") throw new ActFailed(`move ${result.moveId} holds the user`);
  });
}

import type { HttpService } from "../support/http-service.ts";

/** How a service can be of no use, and how it comes back. */
export interface Trouble {
  readonly what: string;
  begin(service: HttpService): Promise<void> | void;
  end(service: HttpService): Promise<void> | void;
}

const status = (what: string, code: number): Trouble => ({
  what,
  begin: (service) => service.behave({ kind: "status", status: code }),
  end: (service) => service.behave({ kind: "well" }),
});

export const TROUBLES: readonly Trouble[] = [
  { what: "is down", begin: (service) => service.goDown(), end: (service) => service.comeBack() },
  status("answers 500", 500),
  status("says that it is asked too much", 429),
  {
    what: "hangs",
    begin: (service) => service.behave({ kind: "silent" }),
    end: (service) => service.behave({ kind: "well" }),
  },
];

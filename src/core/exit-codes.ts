/** Exit codes of every command. Source: sysexits(3). */
export const EXIT = {
  ok: 0,
  usage: 64,
  dataErr: 65,
  noInput: 66,
  noUser: 67,
  unavailable: 69,
  software: 70,
  osError: 71,
  tempFail: 75,
  config: 78,
} as const;

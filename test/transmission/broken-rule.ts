/** What a server did wrong; see {@link ReplyReader}, which makes its fault of it. */
export class BrokenRule extends Error {}

export function broken(rule: string): never {
  throw new BrokenRule(rule);
}

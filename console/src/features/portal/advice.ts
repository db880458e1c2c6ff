/** What somebody can do about a call of theirs that was not answered, by its end. */
const ASK = 'Ask whoever administers the gateway';

const ADVICE = new Map<string, string>(
  Object.entries({
    address: 'Call from a network that the workspace takes calls from.',
    client_cancelled: 'If you have not stopped it, the client may not wait long enough.',
    gate_closed: 'Try again in a moment. Nothing has left.',
    interrupted: 'Look whether it has been done before you send it again.',
    limited: 'Try again later, or ask for more room.',
    missing_capability: 'The client cannot do what the server asks of it.',
    no_gateway: `${ASK} to connect your app to it.`,
    no_identity: `${ASK} to choose an account of yours for this server.`,
    not_permitted: `It is not offered to you under this name. ${ASK} if it should be.`,
    policy: `${ASK}, who finds the reason by the id of the call.`,
    rule_block: 'Leave out what the message is about, and send it again.',
    stopping: 'Try again in a moment. Nothing has left.',
    switched_off:
      'Nothing is wrong with your client. It is on again when whoever turned it off says so.',
    unapproved: 'It is used when somebody has looked at it.',
    unauthenticated: 'Give your client a token that has not expired.',
    upstream: 'The server behind the gateway has failed. Try again later.',
  }),
);

export function adviceFor(end: string): string | null {
  return ADVICE.get(end) ?? null;
}

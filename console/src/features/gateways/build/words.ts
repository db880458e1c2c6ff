import type { Because } from './offers';

/** Why a client is not shown something. */
export const BECAUSE: Record<Because, string> = {
  condition: 'no condition holds',
  name_taken: 'name taken',
  needs_tasks: 'needs tasks',
  not_approved: 'not approved',
  not_exposed: 'not exposed',
  policy: 'refused by policy',
  switched_off: 'turned off',
  withheld: 'withheld',
};

/** What can be done about it. */
export const BECAUSE_HELP: Record<Because, string> = {
  condition: 'The condition of its assignment does not hold for what its server says of it.',
  name_taken: 'Another tool has the same name: give one of the servers another alias.',
  needs_tasks: 'Only clients that follow tasks can call it.',
  not_approved: 'It waits for approval, or has been rejected.',
  not_exposed: 'It is not picked.',
  policy: 'A policy of the workspace refuses it to this person.',
  switched_off: 'It is turned off, or its server or assignment is.',
  withheld: 'It belongs to an extension that servers cannot offer together.',
};

import { describe, expect, test } from 'vitest';

import { asCommand, cutoffBody, type Turn } from './queries';

describe('a change is shown as the command that does the same', () => {
  const cases: [Turn, string][] = [
    [null, 'ostiary restore server jira'],
    [{ reason: '' }, 'ostiary cutoff server jira'],
    [{ reason: 'drill' }, 'ostiary cutoff server jira --reason drill'],
    [{ reason: 'a drill' }, "ostiary cutoff server jira --reason 'a drill'"],
    [{ reason: "it's $(rm)" }, String.raw`ostiary cutoff server jira --reason 'it'\''s $(rm)'`],
    [{ reason: '', seconds: 3600 }, 'ostiary cutoff server jira --for 1h'],
    [{ reason: '', seconds: 900 }, 'ostiary cutoff server jira --for 15m'],
    [{ reason: '', seconds: 90 }, 'ostiary cutoff server jira --for 90s'],
  ];
  test.each(cases)('%j', (turn, expected) => {
    expect(asCommand({ kind: 'server', name: 'jira' }, turn)).toBe(expected);
  });
});

test('the request leaves out what was not said', () => {
  const target = { kind: 'gateway', name: 'support' } as const;
  expect(cutoffBody(target, { reason: '' })).toEqual(target);
  expect(cutoffBody(target, { reason: 'x', seconds: 60 })).toEqual({
    ...target,
    reason: 'x',
    seconds: 60,
  });
});

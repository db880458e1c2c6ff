/**
 * What is expected to fail, by the leg on which it does: a client of one era in front of a server
 * of the other. A key is a scenario, or `scenario:check`. Nothing stands here but what the
 * specification makes impossible, and what is still to be built.
 */

/** In these runs of the suite, for this reason. */
const inRuns = (runs, because) => ({ runs, because });

const MODERN = ['2026-07-28'];

const KEYS = 'a question of a legacy server has no key but the one that the gateway gives it';
const NO_TASKS = 'a server of the legacy era has no such extension to give tasks by';
const NO_REFUSAL =
  'a server of the legacy era has no error for a capability that a client lacks: its tool fails';

export const EXPECTED = {
  'modern-to-legacy': {
    'server-stateless:sep-2575-server-rejects-undeclared-capability': inRuns(MODERN, NO_REFUSAL),
    'server-stateless:sep-2575-missing-capability-http-400': inRuns(MODERN, NO_REFUSAL),
    'input-required-result-basic-elicitation': inRuns(MODERN, KEYS),
    ...each(
      [
        'lifecycle',
        'capability-negotiation',
        'wire-fields',
        'request-state-removal',
        'mrtr-input',
        'request-headers',
        'dispatch-and-envelope',
        'required-task-error',
        'mrtr-composition',
      ].map((name) => `tasks-${name}`),
      inRuns(MODERN, NO_TASKS),
    ),
  },
  'legacy-to-modern': {},
  'gateway-as-client': {},
};

function each(names, entry) {
  return Object.fromEntries(names.map((name) => [name, entry]));
}

/**
 * What is expected to fail, by the leg on which it does: a client of one era in front of a server
 * of the other. A key is a scenario, or `scenario:check`. Nothing stands here but what the
 * specification makes impossible, and what is still to be built.
 */

/** In these runs of the suite, for this reason. */
const inRuns = (runs, because) => ({ runs, because });

const MODERN = ['2026-07-28'];

/** Questions to the client travel as requests in one era and in results in the other. */
const QUESTIONS = 'questions of a legacy server do not yet pass to modern clients';
const NO_TASKS = 'a server of the legacy era has no such extension to give tasks by';
const NO_REFUSAL =
  'a server of the legacy era has no error for a capability that a client lacks: its tool fails';

export const EXPECTED = {
  'modern-to-legacy': {
    'server-stateless:sep-2575-server-rejects-undeclared-capability': inRuns(MODERN, NO_REFUSAL),
    'server-stateless:sep-2575-missing-capability-http-400': inRuns(MODERN, NO_REFUSAL),
    ...each(
      [
        'basic-elicitation',
        'basic-sampling',
        'basic-list-roots',
        'request-state',
        'multiple-input-requests',
        'multi-round',
        'non-tool-request',
        'result-type',
        'tampered-state',
        'capability-check',
      ].map((name) => `input-required-result-${name}`),
      inRuns(MODERN, QUESTIONS),
    ),
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

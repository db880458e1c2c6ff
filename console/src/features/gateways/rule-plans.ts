/** Content rules, as changes that are seen before they are made. */
import { callOf, command } from '@/features/changes/call';
import { differences, type Members } from '@/features/changes/difference';
import type { Change } from '@/features/changes/use-change';
import { checkName, type FormSpec, linesOf, type Values } from '@/features/objects/form-dialog';
import type { Rule } from './queries';

const LIST = '/api/v1/workspaces/{workspace}/gateways/{gateway}/rules';
const ONE = `${LIST}/{rule}` as const;

interface Where {
  workspace: string;
  gateway: string;
}

const ACTIONS = ['redact', 'hash', 'mask', 'block', 'replace'] as const;
const LEGS = ['requests and answers', 'requests', 'answers'];

export function makingRule(where: Where): FormSpec {
  return {
    title: `New rule on ${where.gateway}`,
    fields: FIELDS,
    plan: (values) => {
      const { name, ...body } = bodyOf(values);
      return {
        title: `New rule ${name}`,
        verb: `Make ${name}`,
        call: callOf('post', LIST, { ...where }, { name, ...body }),
        command: command(['rule', 'create', name], optionsOf(where, body)),
        before: null,
      };
    },
  };
}

export function changingRule(where: Where, rule: Rule): FormSpec {
  return {
    title: `Change rule ${rule.name}`,
    fields: FIELDS,
    initial: valuesOf(rule),
    plan: (values) => {
      const before = rule as unknown as Members;
      const moved = differences(before, { ...before, ...bodyOf(values) });
      const body = Object.fromEntries(moved.map((it) => [it.member, it.after]));
      return {
        title: `Change rule ${rule.name}`,
        verb: 'Apply',
        call: callOf('patch', ONE, { ...where, rule: rule.name }, body),
        command: command(['rule', 'update', rule.name], optionsOf(where, body)),
        before,
        of: pathOf(where, rule),
      };
    },
  };
}

export function deletingRule(where: Where, rule: Rule): Change {
  return {
    title: `Delete rule ${rule.name}?`,
    verb: `Delete ${rule.name}`,
    call: callOf('delete', ONE, { ...where, rule: rule.name }),
    command: command(['rule', 'delete', rule.name], { gateway: where.gateway }),
    before: null,
    of: pathOf(where, rule),
    after: null,
    nameToType: rule.name,
    reach: { kind: 'gateway', name: where.gateway },
    note: 'What it has looked for passes as it is from then on.',
  };
}

const FIELDS: FormSpec['fields'] = [
  { name: 'name', label: 'Name', isNeeded: true, check: checkName },
  {
    name: 'pattern',
    label: 'Pattern',
    description: 'A regular expression, without look-around and back-references',
    isNeeded: true,
  },
  { name: 'action', label: 'What it does', type: 'choice', options: ACTIONS },
  {
    name: 'with',
    label: 'With',
    description: 'mask: how many characters stay at the end; block: the message; replace: the text',
  },
  { name: 'legs', label: 'Looks at', type: 'choice', options: LEGS },
  { name: 'tools', label: 'Tools', description: 'One in a line; all where empty', type: 'lines' },
  { name: 'mode', label: 'Mode', type: 'choice', options: ['acts', 'only observes'] },
];

function bodyOf(values: Values) {
  const tools = linesOf(values['tools']);
  const legs = values['legs'] ?? '';
  return {
    name: (values['name'] ?? '').trim(),
    pattern: values['pattern'] ?? '',
    action: actionOf(values),
    on_request: legs.startsWith('requests'),
    on_response: legs.endsWith('answers'),
    tools: tools.length > 0 ? tools : null,
    observe_only: values['mode'] === 'only observes',
  };
}

function actionOf(values: Values): Rule['action'] {
  const text = values['with'] ?? '';
  switch (values['action'] ?? '') {
    case 'mask':
      return /^\d{1,3}$/.test(text) ? { type: 'mask', keep_last: Number(text) } : { type: 'mask' };
    case 'block':
      return { type: 'block', message: text };
    case 'replace':
      return { type: 'replace', with: text };
    case 'hash':
      return { type: 'hash' };
    default:
      return { type: 'redact' };
  }
}

function valuesOf(rule: Rule): Values {
  const { action } = rule;
  const texts: Partial<Record<string, string>> = {
    block: action.type === 'block' ? action.message : '',
    mask: action.type === 'mask' && action.keep_last ? String(action.keep_last) : '',
    replace: action.type === 'replace' ? action.with : '',
  };
  const legs = rule.on_request ? (rule.on_response ? 0 : 1) : 2;
  return {
    name: rule.name,
    pattern: rule.pattern,
    action: action.type,
    with: texts[action.type] ?? '',
    legs: LEGS[legs] ?? '',
    tools: rule.tools?.join('\n') ?? '',
    mode: rule.observe_only ? 'only observes' : 'acts',
  };
}

function optionsOf({ gateway }: Where, body: Partial<Rule>) {
  return {
    gateway,
    name: body.name,
    pattern: body.pattern,
    action: body.action && actionOption(body.action),
    'on-request': body.on_request,
    'on-response': body.on_response,
    tool: body.tools === null ? undefined : body.tools,
    'observe-only': body.observe_only,
  };
}

/** As the command has it: `mask:4`, `block:MESSAGE`. */
function actionOption(action: Rule['action']): string {
  switch (action.type) {
    case 'block':
      return `block:${action.message}`;
    case 'replace':
      return `replace:${action.with}`;
    case 'mask':
      return action.keep_last ? `mask:${action.keep_last}` : 'mask';
    case 'hash':
    case 'redact':
      return action.type;
  }
}

function pathOf(where: Where, rule: Rule): string {
  return callOf('delete', ONE, { ...where, rule: rule.name }).path;
}

import { Button, Group, Modal, NativeSelect, Textarea } from '@mantine/core';
import { useForm, type UseFormReturnType } from '@mantine/form';

import { useChange } from '@/features/changes/use-change';
import { ConditionRows } from './condition-rows';
import { type Condition, conditionOf, freshTest, type Rows, rowsOf } from './conditions';
import classes from './expose-dialog.module.css';
import { exposing } from './plans';
import type { Assignment, Offers, Provision } from './queries';

interface Props {
  workspace: string;
  assignment: Assignment;
  offers: Offers;
  onClose: () => void;
}

interface Values {
  expose: Provision['expose'];
  names: string;
  rows: Rows;
  /** A condition that is too much for rows. */
  json: string | null;
}

/** Changes what an assignment exposes of one kind, after it has been seen what that changes. */
export function ExposeDialog({ workspace, assignment, offers, onClose }: Props) {
  const { ask, dialog, isAsking } = useChange(workspace);
  const form = useForm<Values>({
    initialValues: valuesOf(assignment[offers]),
    validate: { json: (json) => (json === null || parsed(json) ? null : 'This is not JSON') },
  });
  return (
    <>
      <Modal
        // What has been said is there again when one comes back.
        opened={!isAsking}
        onClose={onClose}
        title={`Which ${offers} of ${assignment.alias} are exposed?`}
        closeButtonProps={{ 'aria-label': 'Cancel' }}
        transitionProps={{ duration: 0 }}
        size="lg"
      >
        <Question
          form={form}
          offers={offers}
          onClose={onClose}
          onNext={(values) =>
            ask(exposing(workspace, assignment, offers, provisionOf(values)), onClose)
          }
        />
      </Modal>
      {dialog}
    </>
  );
}

interface QuestionProps {
  form: UseFormReturnType<Values>;
  offers: Offers;
  onNext: (values: Values) => void;
  onClose: () => void;
}

function Question({ form, offers, onNext, onClose }: QuestionProps) {
  const { values } = form;
  return (
    <form className={classes.form} onSubmit={form.onSubmit(onNext)}>
      <NativeSelect
        label="Expose"
        data={CHOICES}
        data-autofocus
        {...form.getInputProps('expose')}
      />
      {values.expose === 'named' && (
        <Textarea
          label="Names"
          description={`The server’s own, one in a line${offers === 'resources' ? ': URIs' : ''}`}
          autosize
          minRows={3}
          maxRows={12}
          {...form.getInputProps('names')}
        />
      )}
      {values.expose === 'conditions' && values.json === null && (
        <ConditionRows rows={values.rows} onChange={(rows) => form.setFieldValue('rows', rows)} />
      )}
      {values.expose === 'conditions' && values.json !== null && (
        <Textarea
          label="Condition"
          description="Conditions inside of conditions, as JSON"
          autosize
          minRows={4}
          maxRows={16}
          {...form.getInputProps('json')}
        />
      )}
      <Group justify="flex-end" gap={8}>
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button type="submit" disabled={!form.isDirty()}>
          Next: see the change
        </Button>
      </Group>
    </form>
  );
}

const CHOICES = [
  { value: 'all', label: 'everything' },
  { value: 'named', label: 'these names' },
  { value: 'conditions', label: 'what meets conditions' },
  { value: 'nothing', label: 'nothing' },
];

function valuesOf(provision: Provision): Values {
  const none: Values = {
    expose: provision.expose,
    names: '',
    rows: { join: 'all', tests: [freshTest(0)] },
    json: null,
  };
  if (provision.expose === 'named') return { ...none, names: provision.names.join('\n') };
  if (provision.expose !== 'conditions') return none;
  const rows = rowsOf(provision.where);
  return rows
    ? { ...none, rows }
    : { ...none, json: JSON.stringify(provision.where, undefined, 2) };
}

function provisionOf({ expose, names, rows, json }: Values): Provision {
  if (expose === 'named') return { expose, names: names.split('\n').filter((it) => it !== '') };
  if (expose !== 'conditions') return { expose };
  return { expose, where: (json === null ? null : parsed(json)) ?? conditionOf(rows) };
}

/** What it means is for the gateway to say. */
function parsed(json: string): Condition | null {
  try {
    return JSON.parse(json) as Condition;
  } catch {
    return null;
  }
}

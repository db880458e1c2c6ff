import { Button, Group, Modal, NativeSelect, Textarea } from '@mantine/core';
import { useForm } from '@mantine/form';

import { Trouble } from '@/ui/trouble';
import { ConditionRows } from './condition-rows';
import { type Condition, conditionOf, freshTest, type Rows, rowsOf } from './conditions';
import classes from './expose-dialog.module.css';
import { type Assignment, type Offers, type Provision, useExpose } from './queries';

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

/** Changes what an assignment exposes of one kind. */
export function ExposeDialog(props: Props) {
  const { assignment, offers, onClose } = props;
  return (
    <Modal
      opened
      onClose={onClose}
      title={`Which ${offers} of ${assignment.alias} are exposed?`}
      closeButtonProps={{ 'aria-label': 'Cancel' }}
      transitionProps={{ duration: 0 }}
      size="lg"
    >
      <Question {...props} />
    </Modal>
  );
}

function Question({ workspace, assignment, offers, onClose }: Props) {
  const expose = useExpose(workspace, assignment);
  const form = useForm<Values>({
    initialValues: valuesOf(assignment[offers]),
    validate: { json: (json) => (json === null || parsed(json) ? null : 'This is not JSON') },
  });
  const { values } = form;
  const save = (wanted: Values) =>
    expose.mutate({ [offers]: provisionOf(wanted) }, { onSuccess: onClose });
  return (
    <form className={classes.form} onSubmit={form.onSubmit(save)}>
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
      {expose.error && <Trouble what="It was not changed" error={expose.error} />}
      <Group justify="flex-end" gap={8}>
        <Button variant="default" onClick={onClose} disabled={expose.isPending}>
          Cancel
        </Button>
        <Button type="submit" disabled={!form.isDirty()} loading={expose.isPending}>
          Expose these {offers}
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

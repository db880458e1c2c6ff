import { Button, Group, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';

import { useMay } from '@/app/rights';
import { useChange } from '@/features/changes/use-change';
import { checkAmount } from './new-limit';
import { allowing } from './plans';
import type { Allowance, Limit } from './queries';
import { allowanceWords } from './words';

interface Props {
  workspace: string;
  limit: Limit;
}

/** Changes how much a limit allows. What it counts, and for whom, stays. */
export function AllowanceForm({ workspace, limit }: Props) {
  const { name, allowance } = limit;
  const { ask, dialog } = useChange(workspace);
  const { why } = useMay(workspace, 'limits:write');
  const isRate = allowance.type === 'rate';
  const burst = isRate ? (allowance.burst ?? allowance.amount) : 1;
  const form = useForm({
    initialValues: { amount: String(allowance.amount), burst: String(burst) },
    validate: { amount: checkAmount, burst: checkAmount },
  });
  return (
    <>
      {dialog}
      <form
        onSubmit={form.onSubmit((values) =>
          ask(allowing(workspace, limit, changed(allowance, values))),
        )}
      >
        <p>{allowanceWords(allowance)}</p>
        <TextInput label={`Per ${allowance.per}`} {...form.getInputProps('amount')} />
        {isRate && <TextInput label="At once" {...form.getInputProps('burst')} />}
        <Group justify="flex-end" mt={8}>
          <Button type="submit" disabled={!form.isDirty() || why !== undefined} title={why}>
            Change {name}…
          </Button>
        </Group>
      </form>
    </>
  );
}

function changed(allowance: Allowance, values: { amount: string; burst: string }): Allowance {
  const amount = Number(values.amount);
  return allowance.type === 'rate'
    ? { ...allowance, amount, burst: Number(values.burst) }
    : { ...allowance, amount };
}

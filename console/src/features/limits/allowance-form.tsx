import { Button, Group, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';

import { Trouble } from '@/ui/trouble';
import { checkAmount } from './new-limit';
import { type Allowance, type Limit, useAllow } from './queries';
import { allowanceWords } from './words';

interface Props {
  workspace: string;
  limit: Limit;
}

/** Changes how much a limit allows. What it counts, and for whom, stays. */
export function AllowanceForm({ workspace, limit: { name, allowance } }: Props) {
  const allow = useAllow(workspace, name);
  const isRate = allowance.type === 'rate';
  const burst = isRate ? (allowance.burst ?? allowance.amount) : 1;
  const form = useForm({
    initialValues: { amount: String(allowance.amount), burst: String(burst) },
    validate: { amount: checkAmount, burst: checkAmount },
  });
  return (
    <form onSubmit={form.onSubmit((values) => allow.mutate(changed(allowance, values)))}>
      <p>{allowanceWords(allowance)}</p>
      <TextInput label={`Per ${allowance.per}`} {...form.getInputProps('amount')} />
      {isRate && <TextInput label="At once" {...form.getInputProps('burst')} />}
      {allow.error && <Trouble what="The limit was not changed" error={allow.error} />}
      <Group justify="flex-end" mt={8}>
        <Button type="submit" disabled={!form.isDirty()} loading={allow.isPending}>
          Change {name}
        </Button>
      </Group>
    </form>
  );
}

function changed(allowance: Allowance, values: { amount: string; burst: string }): Allowance {
  const amount = Number(values.amount);
  return allowance.type === 'rate'
    ? { ...allowance, amount, burst: Number(values.burst) }
    : { ...allowance, amount };
}

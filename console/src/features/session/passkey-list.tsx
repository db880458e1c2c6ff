import { Button, Group, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';

import { Ago } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { formClass } from './card';
import { passkeyTrouble } from './passkeys';
import { type Account, useAddPasskey, useRemove } from './queries';

/** The passkeys of one's own account. */
export function Passkeys({ account }: { account: Account | undefined }) {
  const remove = useRemove();
  const passkeys = account?.passkeys ?? [];
  const ways = passkeys.length + (account?.password_set_at ? 1 : 0);
  return (
    <section className={formClass} aria-label="Passkeys">
      <h2>Passkeys</h2>
      {passkeys.length === 0 && <p>None yet. A passkey signs you in without a password.</p>}
      {passkeys.map((it) => (
        <Group key={it.id} justify="space-between" wrap="nowrap">
          <span>
            <strong>{it.name}</strong>{' '}
            {it.used_at ? (
              <>
                used <Ago at={it.used_at} />
              </>
            ) : (
              'not used yet'
            )}
          </span>
          <Button
            variant="default"
            size="compact-sm"
            aria-label={`Remove passkey ${it.name}`}
            disabled={ways < 2}
            title={ways < 2 ? 'It is the last way to sign in to this account' : undefined}
            loading={remove.isPending && remove.variables === it.id}
            onClick={() => remove.mutate(it.id)}
          >
            Remove
          </Button>
        </Group>
      ))}
      {remove.error && <Trouble what="The passkey was not removed" error={remove.error} />}
      <AddPasskey />
    </section>
  );
}

function AddPasskey() {
  const add = useAddPasskey();
  const trouble = passkeyTrouble();
  const form = useForm({
    initialValues: { name: '' },
    validate: { name: (name) => (name.trim() ? null : 'Say where the passkey is kept') },
  });
  const submit = form.onSubmit(({ name }) =>
    add.mutate(name.trim(), { onSuccess: () => form.reset() }),
  );
  return (
    <form className={formClass} onSubmit={submit} noValidate>
      <TextInput
        label="Name of the passkey"
        placeholder="laptop"
        autoComplete="off"
        spellCheck={false}
        {...form.getInputProps('name')}
      />
      {trouble && <p>{trouble}</p>}
      {add.error && <Trouble what="No passkey was added" error={add.error} />}
      <Button type="submit" variant="default" disabled={trouble !== null} loading={add.isPending}>
        Add a passkey
      </Button>
    </form>
  );
}

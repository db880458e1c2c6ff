/** Asks who is there, where something dangerous needs to know; what was asked for is then done. */
import { Button, Modal, PasswordInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { setProver } from '@/api/client';
import { Trouble } from '@/ui/trouble';
import { formClass } from './card';
import { passkeyTrouble } from './passkeys';
import { sessionQuery, useProve } from './queries';

type Answer = (isProven: boolean) => void;

export function StepUp() {
  // Whoever waits for an answer; several things may do so at a time.
  const [waiting, setWaiting] = useState<Answer[]>([]);
  useEffect(
    () => setProver(() => new Promise((answer) => setWaiting((others) => [...others, answer]))),
    [],
  );
  const close = (isProven: boolean) => {
    for (const answer of waiting) answer(isProven);
    setWaiting([]);
  };
  return (
    <Modal
      opened={waiting.length > 0}
      onClose={() => close(false)}
      title="Prove who you are"
      closeButtonProps={{ 'aria-label': 'Close' }}
      transitionProps={{ duration: 0 }}
    >
      <Proof onDone={() => close(true)} />
    </Modal>
  );
}

function Proof({ onDone }: { onDone: () => void }) {
  const { data: session } = useQuery(sessionQuery);
  const prove = useProve();
  const form = useForm({ initialValues: { secret: '' } });
  const isAccount = Boolean(session?.account);
  const submit = form.onSubmit(({ secret }) =>
    prove.mutate(isAccount ? { password: secret } : { token: secret.trim() }, {
      onSuccess: onDone,
    }),
  );
  return (
    <form className={formClass} onSubmit={submit} noValidate>
      <p>This is not undone easily, so show once more that it is you.</p>
      {isAccount && (
        <Button
          variant="default"
          disabled={passkeyTrouble() !== null}
          onClick={() => prove.mutate('passkey', { onSuccess: onDone })}
        >
          Use a passkey
        </Button>
      )}
      <PasswordInput
        label={isAccount ? 'Password' : 'Admin token'}
        autoComplete={isAccount ? 'current-password' : 'off'}
        data-autofocus
        visibilityToggleButtonProps={{ 'aria-label': 'Show or hide it' }}
        {...form.getInputProps('secret')}
      />
      {prove.error && <Trouble what="It was not proven" error={prove.error} />}
      <Button type="submit" loading={prove.isPending}>
        Continue
      </Button>
    </form>
  );
}

import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useRef } from 'react';

import { Trouble } from '@/ui/trouble';
import { areOffered, passkeyTrouble, prove } from './passkeys';
import { useSignIn } from './queries';

/** A challenge is good for five minutes. */
const AGAIN_MS = 4 * 60_000;

/** Signs in by a passkey: by this button, or by what the browser offers where a name is to be filled in. */
export function PasskeyButton({ onDone }: { onDone: () => void }) {
  const signIn = useSignIn();
  const offered = useRef<AbortController>(null);
  const enter = async (signal: AbortSignal, isOffered: boolean) => {
    const credential = await prove(signal, isOffered);
    await signIn.mutateAsync({ by: 'passkey', credential }, { onSuccess: onDone });
  };
  const offerOnce = useEffectEvent(async (signal: AbortSignal) => {
    if (await areOffered()) await enter(signal, true);
  });
  useEffect(() => {
    const offer = () => {
      offered.current?.abort();
      const stop = new AbortController();
      offered.current = stop;
      // What nobody has asked for does not say that it failed.
      offerOnce(stop.signal).catch(() => undefined);
    };
    offer();
    const timer = setInterval(offer, AGAIN_MS);
    return () => {
      clearInterval(timer);
      offered.current?.abort();
    };
  }, []);
  const click = useMutation({
    mutationFn: async () => {
      offered.current?.abort();
      await enter(new AbortController().signal, false);
    },
  });
  const trouble = passkeyTrouble();
  return (
    <>
      <Button
        variant="default"
        fullWidth
        disabled={trouble !== null}
        loading={click.isPending}
        onClick={() => click.mutate()}
      >
        Use a passkey
      </Button>
      {trouble && <p>{trouble}</p>}
      {click.error && <Trouble what="Signing in failed" error={click.error} />}
    </>
  );
}

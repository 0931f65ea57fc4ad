/** A function that runs `action` once, `ms` milliseconds after its last call; `flush` runs a waiting one at once. */
export interface Debounced {
  (): void;
  flush(): void;
}

export function debounce(action: () => void, ms: number): Debounced {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = () => {
    timer = undefined;
    action();
  };
  const call = () => {
    clearTimeout(timer);
    timer = setTimeout(run, ms);
  };
  return Object.assign(call, {
    flush() {
      if (timer === undefined) return;
      clearTimeout(timer);
      run();
    },
  });
}

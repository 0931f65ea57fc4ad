/** The first run, step by step or at one press: an image, a line, a drive that stands for the image, a workload. */
import { computed, ref } from 'vue';
import { useImagesStore } from '../../stores/images.ts';
import { useLabStore } from '../../stores/lab.ts';
import { useMachineStore } from '../../stores/machine.ts';
import { useNavigationStore } from '../../stores/navigation.ts';

export type StepName = 'image' | 'line' | 'bind' | 'run';

export function useFirstRun() {
  const images = useImagesStore();
  const machine = useMachineStore();
  const lab = useLabStore();
  const navigation = useNavigationStore();
  const busy = ref(false);

  const opened = computed(() => images.list.filter((image) => image.info !== undefined));
  const broken = computed(() => machine.problems.filter((problem) => problem.severity === 'error').length);
  /** What is done, read off the real state. */
  const done = computed<Record<StepName, boolean>>(() => ({
    image: opened.value.length > 0,
    line: machine.text.trim() !== '' && broken.value === 0,
    bind: machine.bindings.length > 0,
    run: (lab.frame?.counters.requests ?? 0) > 0,
  }));
  const next = computed(
    () => (['image', 'line', 'bind', 'run'] as const).find((name) => !done.value[name]) ?? null,
  );

  const steps: Record<StepName, () => Promise<void> | void> = {
    async image() {
      await images.attachSample();
      navigation.go({ workspace: 'learn' });
    },
    /** Never throws a person's own line away: what is there is only put right. */
    line() {
      if (machine.text.trim() === '') machine.text = machine.sample;
      machine.fixEverything();
    },
    bind() {
      const drive = machine.drives[0];
      const image = opened.value.find((one) => one.handle === images.selected?.handle) ?? opened.value[0];
      if (drive !== undefined && image !== undefined) machine.bind(drive.id, image.handle);
    },
    async run() {
      navigation.go({ workspace: 'lab' });
      await lab.run();
    },
  };

  /** Does every step that is not done, and ends in the lab. */
  async function all(): Promise<void> {
    if (busy.value) return;
    busy.value = true;
    try {
      if (!done.value.image) {
        await images.attachSample();
        await imageOpened();
      }
      if (!done.value.line) await steps.line();
      if (!done.value.bind) await steps.bind();
      await steps.run();
    } finally {
      busy.value = false;
    }
  }

  /** Attaching answers before the image's process has opened it. */
  async function imageOpened(): Promise<void> {
    for (let tries = 0; tries < 100 && opened.value.length === 0; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  return { done, next, steps, all, busy };
}

/** Keeps a canvas painted: when what it shows changes, when its box or the theme does, once a frame at most. */
import { onMounted, onUnmounted, watch, type Ref, type WatchSource } from 'vue';
import { useAppStore } from '../../../stores/app.ts';

export function usePainted(
  canvas: Ref<HTMLCanvasElement | null>,
  paint: () => void,
  on: WatchSource[],
): void {
  const app = useAppStore();
  let frame = 0;
  const ask = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      paint();
    });
  };
  const size = new ResizeObserver(ask);
  onMounted(() => {
    if (canvas.value !== null) size.observe(canvas.value);
    ask();
  });
  onUnmounted(() => {
    size.disconnect();
    cancelAnimationFrame(frame);
  });
  watch([() => app.theme, ...on], ask, { flush: 'post' });
}

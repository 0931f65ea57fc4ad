import { createPinia } from 'pinia';
import { createApp } from 'vue';
import App from './App.vue';
import { i18n } from './i18n/index.ts';
import { useAppStore } from './stores/app.ts';
import './design/tokens.css';
import './design/base.css';
import './design/field.css';
import './design/float.css';

const app = createApp(App);
app.use(createPinia());
app.use(i18n);

const store = useAppStore();
app.config.errorHandler = (error) => {
  console.error(error);
  store.report(error);
};
// The page shows itself only once settings are known, so that nothing flashes in another theme or language.
await store.begin();
app.mount('#app');

export { default } from './LearnWorkspace.vue';

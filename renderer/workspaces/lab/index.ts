export { default } from './LabWorkspace.vue';

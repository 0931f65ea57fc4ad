export { default } from './MachineWorkspace.vue';

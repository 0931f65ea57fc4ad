export { default } from './ImagesWorkspace.vue';

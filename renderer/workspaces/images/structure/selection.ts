/** What is selected in the structure of an image, and going where a field points. */
import type { ImageHandle, ImageInfo } from '#contract/images.ts';
import type { StructureLink } from '#contract/structure.ts';
import { useNavigationStore } from '../../../stores/navigation.ts';
import { openKey, viewOf } from '../view.ts';
import { FieldPages } from './fields.ts';
import type { Branch, StructureTree } from './tree.ts';

const pages = new Map<ImageHandle, { key: string; fields: FieldPages }>();

/** The fields of one node; begun anew for another one, or after the image was reopened. */
export function fieldsOf(handle: ImageHandle, info: ImageInfo, path: string): FieldPages {
  const key = `${openKey(handle, info)} ${path}`;
  const known = pages.get(handle);
  if (known?.key === key) return known.fields;
  const fields = new FieldPages(handle, path);
  pages.set(handle, { key, fields });
  return fields;
}

/** The branch at a path, as far as it has been fetched. */
export function selectedBranch(tree: StructureTree, path: string): Branch | undefined {
  let at: Branch | undefined = tree.root;
  const names = path === '' ? [] : path.split('/');
  for (let depth = 1; depth <= names.length && at !== undefined; depth += 1) {
    const wanted = names.slice(0, depth).join('/');
    at = at.children.find(({ node }) => node.path === wanted);
  }
  return at;
}

/** Goes to a table, to the place on the map, or to the byte of the file. */
export async function follow(handle: ImageHandle, tree: StructureTree, link: StructureLink): Promise<void> {
  if (link.to === 'node') {
    const found = await tree.reveal(link.path);
    if (found !== null) viewOf(handle).structure = { path: link.path, field: -1 };
    return;
  }
  useNavigationStore().go({
    workspace: 'images',
    object: { kind: 'image', id: handle },
    view: link.to === 'guest' ? 'map' : 'hex-host',
    at: link.offset,
  });
}

import { describe, expect, it } from 'vitest';
import { parseArguments } from './arguments.ts';

const development = { packaged: false, appPath: '/src/platter', cwd: '/home/me' };
const packaged = { packaged: true, appPath: '/opt/platter/resources/app.asar', cwd: '/home/me' };

describe('parseArguments', () => {
  it('takes files after the application folder and makes them absolute', () => {
    const argv = ['electron', '-r', '/tmp/loader.js', '--inspect=0', '/src/platter', 'a.qcow2', '/b.img'];
    expect(parseArguments(argv, development).files).toEqual(['/home/me/a.qcow2', '/b.img']);
  });

  it('takes every word in a packaged application', () => {
    expect(parseArguments(['platter-app', 'a.qcow2'], packaged).files).toEqual(['/home/me/a.qcow2']);
  });

  it('never takes a switch for a file, except after --', () => {
    const argv = ['platter-app', '--no-sandbox', '-x', '--', '-odd-name.img'];
    expect(parseArguments(argv, packaged).files).toEqual(['/home/me/-odd-name.img']);
  });

  it('reads --user-data-dir wherever it stands, and nothing else', () => {
    expect(parseArguments(['platter-app', 'a.img', '--user-data-dir=data'], packaged)).toEqual({
      files: ['/home/me/a.img'],
      userData: '/home/me/data',
    });
    expect(parseArguments(['platter-app'], packaged).userData).toBeUndefined();
  });

  it('takes no files when the application folder cannot be found among the words', () => {
    expect(parseArguments(['electron', 'other'], development).files).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { isOwnPage, mayRequest } from './trusted.ts';

describe('isOwnPage', () => {
  it('knows our scheme and host only', () => {
    expect(isOwnPage('app://platter/index.html')).toBe(true);
    for (const url of [
      'app://other/index.html',
      'app://platter.evil/index.html',
      'app://me@platter/index.html',
      'app:platter',
      'application://platter/',
      'https://platter/index.html',
      'file:///index.html',
      'about:blank',
      'data:text/html,app://platter',
      'blob:app://platter/1',
      '',
      'nonsense',
    ]) {
      expect(isOwnPage(url), url).toBe(false);
    }
  });

  it('takes the development server when there is one, by its whole origin', () => {
    expect(isOwnPage('http://localhost:5173/x', 'http://localhost:5173')).toBe(true);
    expect(isOwnPage('http://localhost:5174/x', 'http://localhost:5173')).toBe(false);
    expect(isOwnPage('https://localhost:5173/x', 'http://localhost:5173')).toBe(false);
  });
});

describe('mayRequest', () => {
  it('lets through only what needs no network', () => {
    for (const url of ['app://platter/assets/a.js', 'data:text/plain,x', 'blob:app://platter/1']) {
      expect(mayRequest(url, { devtools: false }), url).toBe(true);
    }
    for (const url of [
      'http://127.0.0.1:80/',
      'https://example.org/',
      'ws://localhost/',
      'wss://example.org/',
      'ftp://example.org/',
      'file:///etc/passwd',
      'blob:https://example.org/1',
      'app://other/x',
      'devtools://devtools/x',
      'chrome://gpu',
    ]) {
      expect(mayRequest(url, { devtools: false }), url).toBe(false);
    }
    expect(mayRequest('devtools://devtools/x', { devtools: true })).toBe(true);
  });

  it('allows the development server with its socket', () => {
    const options = { devtools: true, development: 'http://localhost:5173' };
    expect(mayRequest('http://localhost:5173/main.ts', options)).toBe(true);
    expect(mayRequest('ws://localhost:5173/?token=x', options)).toBe(true);
    expect(mayRequest('ws://localhost:5174/', options)).toBe(false);
  });
});

/** LZFSE streams that Apple's own compressor made, and the text that they hold. */

const WORDS = 'disk sector cluster the a of reads writes zero block table holds every seven'.split(' ');

/** Text that repeats itself, but not at regular distances: `length` bytes of it. */
export function sentences(length: number): Uint8Array {
  let seed = 1;
  let text = '';
  while (text.length < length) {
    seed = (seed * 16807) % 2147483647;
    text += `${WORDS[seed % WORDS.length]} ${seed % 23 === 0 ? `${seed}\n` : ''}`;
  }
  return Buffer.from(text.slice(0, length));
}

const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));

/** 4608 bytes of `sentences` in one block `bvx2`, and the end mark. */
export const ENTROPY_CODED = bytes(
  [
    'YnZ4MgASAACoARAPAAsCMPsLj7f2iQMwsQAAADh4UACPQaKqKoKIgBdnJ3uNjKoCYg+StQ/m0d2+uDy+uLk6Ori4O9ljzaxVXQoAAAAAAMAGAO',
    'AfAAAAAADgCwAAAADeghfig3gWHodP4Sd4DL6DPwEAAAAAAAAAAAB4C9Y++Qi+AH6ARU7Y/wBcXj4AOQkJAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    'AAAAAAAAAAAAAAAAAAAAiAhQrEmmIS9oR0CUSXUSmtb7KvC2L10r4C9tymxxGjHPDI1zlkVMRYiht63xdygYHJRSBPoGirjUIvRwX6Q6jcWo4O',
    'hL5pRah/+sdH8HYE7X9R1tiLj0tuLFoQIepq6eodJ/ZqBka+cAL/mprAJnoLlMc6DKNjmWqsG9u7sAU/YDM74/qLMnn0Rzdn4Y1aokz4ySGio9',
    'rZHP7mCVkShuW7Cfi1UTbxWh1CuHS12UWgH9+VdlHIpKSm1d+OkpAKS5vDCAg2W3owN/Oo6tQn1EaJxU7hDIbaQShvcn/wUndVdvMKbnbUQke4',
    'McQFI6CQAAAAAAAAAAAAAgACyZLr6hSYa61yX5VO1ZXNGXUZM/vbjWa/IPE32lJ/e9HYVoA3ir3TlaxTU+Ej7a4L/Exx/Z3bL/hzz/DomVgYLJ',
    '9OqhJudF9Rx0wGOsgdMbPFj6Ha9DK+lqImdfK/5pByumsov833xcSsnTJt/hbsJ2F2s4sKaa3UTvv3/y5uPUxzIJ5xUfdUygW3ck4RoYLAIihc',
    '50KOSM7oy3jDgU1PWMD/Y87ieCPdIzaVNnqHymbHkJJoPVk93FMM8ZMyDD3tXT/diAn8f8CLSbbTvjJMNfFmHxTDjhNQ2+cRWxEcZgNE9xeO4U',
    'pPhhGFZfAzQgdeaGz36NcNxA9B/xWAej/toDpXgq5jmzzzY2EluVCMhtA50bz/4wO/+j5HjJe8NcVmXRpv8MVip55JPpipiShBFrDxrhmtBTgt',
    'XVpQX4TVqZDHwI77FIiBGUWj1cq/80nNKUPmqoXEMJl1IEQgg8xID6zBsYPgRDuAlxlvbpwjr1kCVHrjcUZQOuX8t3SUXjnj754hvqnKwjszIQ',
    '/FBoF/whTKKbKmBkjk2tsGByrHsUnIK8EmR3MO4JGXrunNhzbdI4JghRUAmhxb8wv2H0CUlyvtXe09ubchYlL3PJlEgJeMLJGiNoMtGZvsZFlU',
    'jQUGL0+IYj0OXvckSdjkMlknNJt0PMHyhI+59haz8uucmFILQUUgSfCArCI/OVz6lqgI3nEFJgGZhpzVIJEOgZSxaGhxFe3WEBNQW3cijU3Bta',
    'TbO8Lp8lTnj6xKbjlDKzAfZzbuwrr/HxQ5uDKEKqW6xR5prkyrPFqjEGjO36uf9szT9xViM3MLBcyh5OnIt5sFwMcrg0Eyorftu9GkA9H5616+',
    'wn0pX10joqUkxwehbOuQ+rZ6labyIRosEj9n4oZ8T+tCfMaTMxoHyNImlEQFklBOE65Sn1UGUzbxncyawX95HxpvPeTOQBQfNa8IUYVTA2I4m+',
    'q6VGH9bNz2dar0QqKID72X2bmtxfGyylqgnQXUBbjikIQMOxIAr1oG6Z+2ArwyuWBx20N4rhxfkQEJgm5nncF5JkGV+iwcW2WFVwyJJjqm0sPN',
    'sn1jOn+Jk71e9jAxmCuIV9KW51fp57S2HCOD9JBt+kY8MJfhLQNJtwaafnDKptgKsN8XHpXntzp7s2cACPRxNQ15Xe6CCOvPovpKCS8tU9tcYY',
    'fwkPYnZ4JA==',
  ].join(''),
);

/** 1024 bytes of `sentences` in one block `bvxn`, and the end mark. */
export const LZVN_CODED = bytes(
  [
    'YnZ4bgAEAACpAQAA53dyaXRlcyAgB+tibG9jayByZWFkczgG8+ADY2x1c3RlciB6ZXJvIHNlY3RvcigHGCEYOcg+ZGlz9CBRmBtvZvHuMTQ0MT',
    'I4MjMyNwpob2wAIYAOYSDtMzc4ODQwCnRhYmxlIBgYmFpvZvIgQxB0wBd0aGXIi3ZlbvUQbBhcGDkYRRAXGCoQOZhIb2byOFb0GDQYKRA0IBg4',
    'V/EAO2AoYTjl8jAdECsQZRAKGIA4n/M5C/MAa5gYcnmYLm9m8TlL9DiD8ihICPkQERirER4ICSAsEH84YfM4KPUYaCAiIAcgbwhbOTvyCBDqMj',
    'E0NjMxOTQ1MSGVaC5hGCoolxhsGOAYBhEuGDQ5dDhf8hiQEMwgF5hIaGX3OV/yOJzxmCBoZfE5E/I5Z/PmMjgwMDkwAmBYKQoYOThb+GCEYTm0',
    'GCQYBghXGKoQICD3Oo8gFghBGE84W/IQHTHXEA4qPJhhb2bxEBYQdxBrMG8YJyBmGFUIHSiu6jUzMjIzNjEyMwoQPCAoOQHzEAU4XxAKEAXpOD',
    'gxMTQwNTM0IRoQFTkf8uFhBgAAAAAAAABidngk',
  ].join(''),
);

/** 64 bytes in one block `bvx-`, and the end mark: byte `i` is `37 i + (i * i >> 3)`. */
export const PLAIN_CODED = bytes(
  [
    'YnZ4LUAAAAAAJUpwlrziCTBXfqbO9h5HcJnC7BZAapXA6xZCbprG8yBNeqjWBDJhkL/uHk5+rt8QQXKk1gg6baDTBjpuotYLYnZ4JA==',
  ].join(''),
);

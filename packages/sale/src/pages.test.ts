/** Which pages are hot for a sale, and that their names are read as they are written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hotPageCount, hotPages, pageNames, parseHotPage } from './pages.ts';
import { drop } from './sale.fixture.ts';

test('the pages of the items, then the first list pages', () => {
  const warm = { ...drop.warm, cache: { ...drop.warm.cache, pages: 2 } };
  assert.deepEqual(hotPages({ ...drop, warm }), ['product/shoe', 'product/hat', 'list/1/20', 'list/2/20']);
  assert.equal(hotPageCount(drop), hotPages(drop).length);
});

test('every hot page can be read back from its name, and no other name is one', () => {
  for (const name of hotPages(drop)) {
    const page = parseHotPage(name);
    assert.ok(page);
    assert.equal('product' in page ? pageNames.product(page.product) : pageNames.list(page.page), name);
  }
  for (const name of [
    '',
    'list',
    'list/0/20',
    'list/1/50',
    'list/1.5/20',
    'list/01/20',
    'product/',
    'product/a/b',
    'x/1',
  ])
    assert.equal(parseHotPage(name), undefined, name);
});

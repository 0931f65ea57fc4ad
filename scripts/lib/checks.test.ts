import { describe, expect, it } from 'vitest';
import { countPlaywright, countVitest, settle } from './checks.mjs';

describe('settle', () => {
  it('believes the report', () => {
    expect(settle(0, { passed: 3, failed: 0, skipped: 1 })).toEqual({ passed: 3, failed: 0, skipped: 1 });
    expect(settle(1, { passed: 3, failed: 2, skipped: 0 }).failed).toBe(2);
  });
  it('counts a program that fails without a failed test, or that leaves no report, or runs nothing', () => {
    expect(settle(1, { passed: 3, failed: 0, skipped: 0 })).toEqual({ passed: 3, failed: 1, skipped: 0 });
    expect(settle(1, undefined).failed).toBe(1);
    expect(settle(0, undefined).failed).toBe(1);
    expect(settle(0, { passed: 0, failed: 0, skipped: 4 }).failed).toBe(1);
  });
});

describe('reports', () => {
  it('counts a test file of vitest that cannot be loaded', () => {
    const files = [
      { status: 'passed', assertionResults: [{}] },
      { status: 'failed', assertionResults: [] },
      { status: 'failed', assertionResults: [{}] },
    ];
    const report = { numPassedTests: 1, numFailedTests: 1, numPendingTests: 0, testResults: files };
    expect(countVitest(report)).toEqual({ passed: 1, failed: 2, skipped: 0 });
  });
  it('counts a flaky test of Playwright and an error outside of tests as failed', () => {
    const stats = { expected: 5, unexpected: 1, flaky: 1, skipped: 2 };
    expect(countPlaywright({ stats, errors: [{}] })).toEqual({ passed: 5, failed: 3, skipped: 2 });
  });
});

/** What a check has found so far. */
import type { CheckResult } from '../../../format.ts';

const MOST_MESSAGES = 100;

export class CheckReport {
  readonly result: CheckResult = {
    corruptions: 0,
    leaks: 0,
    checkErrors: 0,
    totalClusters: 0,
    allocatedClusters: 0,
    compressedClusters: 0,
    fragmentedClusters: 0,
    imageEndOffset: 0,
    messages: [],
  };

  corruption(message: string): void {
    this.result.corruptions++;
    this.say(`ERROR ${message}`);
  }

  leak(message: string): void {
    this.result.leaks++;
    this.say(message);
  }

  checkError(message: string): void {
    this.result.checkErrors++;
    this.say(`ERROR ${message}`);
  }

  say(message: string): void {
    if (this.result.messages.length < MOST_MESSAGES) this.result.messages.push(message);
  }
}

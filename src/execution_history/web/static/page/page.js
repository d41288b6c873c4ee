// Starts what each page needs; every part also works when another one fails to.
import { startBulk } from "./bulk.js";
import { startCharts } from "./charts.js";
import { startCopying } from "./copying.js";
import { startFacets } from "./facets.js";
import { startIndexing } from "./indexing.js";
import { startKeys } from "./keys.js";
import { startList } from "./list.js";
import { startLive } from "./live.js";
import { startNesting } from "./nesting.js";
import { startRecalculation } from "./recalculation.js";
import { startRenewal } from "./renewal.js";
import { startRows } from "./rows.js";
import { startSwitcher } from "./switcher.js";
import { startTicks } from "./ticks.js";
import { startTimes } from "./times.js";
import { startTrees } from "./trees.js";

const starts = [
  startTimes, startCopying, startTrees, startSwitcher, startKeys, startRows, startList, startLive, startRenewal, startIndexing, startNesting, startBulk, startFacets,
  startCharts, startTicks, startRecalculation,
];
for (const start of starts) start();

// Times stand in the page in the organisation's zone; here they are shown in the reader's own.
// The moment in UTC stays in the element's title.
"use strict";
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (!Number.isNaN(moment.getTime()) && time.dateTime.includes("T")) {
    time.textContent = format.format(moment);
  }
}

// Times stand in the page in the organisation's zone; here they are shown in the reader's own.
// The moment in UTC stays in the element's title. What is relative ("3 minutes ago") stays as it is.
"use strict";
const formats = {
  short: new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }),
  medium: new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }),
};
for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  const format = formats[time.dataset.style ?? "short"];
  if (format && !Number.isNaN(moment.getTime()) && time.dateTime.includes("T")) {
    time.textContent = format.format(moment);
  }
}

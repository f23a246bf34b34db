# Bytes over time: `log` is what the relay wrote, `svg` where the picture goes. Each cut is a line from the bottom to the top.
set terminal svg size 760,380 background '#ffffff' font 'sans-serif,12'
set output svg
set xlabel 'seconds'
set ylabel 'kB passed'
set key left top
set grid
stats log using 2 nooutput
top = STATS_max / 1000 * 1.05
set yrange [0:top]
previous = 0
cut(count) = (more = count > previous, previous = count, more ? top : NaN)
plot log using 1:($2/1000) with lines lw 2 lc rgb '#1f5fa8' title 'there', \
     log using 1:($3/1000) with lines lw 2 lc rgb '#c2671b' title 'back', \
     log using 1:(cut($4)) with impulses lw 1 lc rgb '#888888' title 'cut'

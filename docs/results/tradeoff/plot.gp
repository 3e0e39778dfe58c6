# Draws plot.svg from the two tables: gnuplot plot.gp, in this folder. A mark a run, seeds 1, 2, 3
# from left to right, and a line at the mean.
set terminal svg size 900,420 font 'sans-serif,12' background rgb 'white'
set output 'plot.svg'
set datafile separator ','
set ylabel 'accuracy'
set grid ytics
set xtics rotate by -40
unset key
of(m, d) = (strcol(1) eq m && strcol(2) eq d ? column(4) : NaN)
colour(m) = (m eq 'learned' ? 0xd55e00 : 0x0072b2)

array files[2] = ['imdb.csv', 'sst2.csv']
array densities[2] = ['0.07', '0.3']
array titles[2] = ['IMDb, 256 tokens, density 7.1 %, 160 steps', \
                   'SST-2, density 21 to 24 %, 120 steps']
array methods[2] = ['neighbour bigbird-2 bigbird-4 span learned permuted even scattered', \
                    'dense neighbour bigbird-1 bigbird-2 span learned permuted even']
set multiplot layout 1,2
do for [p=1:2] {
  set title titles[p]
  set xrange [0.4:8.6]
  set xtics ()
  unset arrow
  do for [k=1:8] {
    m = word(methods[p], k)
    set xtics add (m k)
    stats files[p] using (of(m, densities[p])) nooutput name 'M'
    set arrow from k - 0.35, M_mean to k + 0.35, M_mean nohead linewidth 2 linecolor rgb colour(m)
  }
  plot for [k=1:8] files[p] using (k + 0.2 * (column(3) - 2)):(of(word(methods[p], k), densities[p])) \
    with points pointtype 7 pointsize 0.7 linecolor rgb colour(word(methods[p], k))
}
unset multiplot

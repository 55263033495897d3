//! The histogram in HdrHistogram's text format.

use crate::load::Distribution;

/// The distribution in the format that HdrHistogram's own tools print and plot, in milliseconds.
pub(super) fn hgrm(distribution: &Distribution) -> String {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for value in distribution.iter_quantiles(5) {
        let quantile = value.quantile_iterated_to();
        let (millis, count) =
            (value.value_iterated_to() as f64 / 1e3, total(distribution, value.value_iterated_to()));
        let line = if quantile < 1.0 {
            format!("{millis:12.3} {quantile:2.12} {count:10} {:14.2}\n", 1.0 / (1.0 - quantile))
        } else {
            format!("{millis:12.3} {quantile:2.12} {count:10}\n")
        };
        text.push_str(&line);
    }
    text.push_str(&format!(
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n#[Max     = {:12.3}, Total count    = {:12}]\n",
        distribution.mean() / 1e3,
        distribution.stdev() / 1e3,
        distribution.max() as f64 / 1e3,
        distribution.len(),
    ));
    text.push_str(&format!("#[Buckets = {:12}, SubBuckets     = {:12}]\n", distribution.buckets(), 2_048));
    text
}

fn total(distribution: &Distribution, up_to: u64) -> u64 {
    distribution.count_between(0, up_to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Totals;

    #[test]
    fn the_histogram_has_each_percentile_with_its_count_and_ends_with_the_maximum() {
        let mut distribution = Totals::default().latency;
        for millis in 1..=1_000 {
            distribution.record(millis * 1_000).unwrap();
        }
        let text = hgrm(&distribution);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]);
        let half = lines.iter().find(|line| line.get(1) == Some(&"0.500000000000")).unwrap();
        assert_eq!(half[1..], ["0.500000000000", "500", "2.00"]);
        assert!((499.0..501.0).contains(&half[0].parse::<f64>().unwrap()), "{half:?}");
        let last = lines.iter().rfind(|line| line.len() == 3).unwrap();
        assert_eq!(last[1..], ["1.000000000000", "1000"]);
        assert!(text.contains("Total count    =         1000]"), "{text}");
    }
}

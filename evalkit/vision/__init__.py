"""What several metrics of detections share: overlaps, matching, precision under any weights."""
